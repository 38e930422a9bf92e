// A button that opens the phone's camera: the same file field, asked to capture for one click.
export function offerCamera(button, input) {
  if (!("capture" in input) || !matchMedia("(pointer: coarse)").matches) return;
  button.hidden = false;
  button.addEventListener("click", () => {
    input.capture = "environment";
    input.click();
    input.capture = "";
    input.removeAttribute("capture");
  });
}
