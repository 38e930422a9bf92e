// A named confirmation: the buttons work once the name has been typed (the server checks it again).
export function watchConfirmations() {
  document.querySelectorAll("input[data-confirm]").forEach((input) => {
    const buttons = input.form.querySelectorAll("[data-confirmed]");
    const check = () => {
      const isNamed = input.value.trim() === input.dataset.confirm;
      buttons.forEach((button) => (button.disabled = !isNamed));
    };
    input.addEventListener("input", check);
    check();
  });
}
