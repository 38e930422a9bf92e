// A named confirmation: the button works once the name has been typed (the server checks it again).
export function watchConfirmations() {
  document.querySelectorAll("input[data-confirm]").forEach((input) => {
    const button = input.form.querySelector("[data-confirmed]");
    const check = () => (button.disabled = input.value.trim() !== input.dataset.confirm);
    input.addEventListener("input", check);
    check();
  });
}
