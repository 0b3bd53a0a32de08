/**
 * Files that come into a page by the mouse or by a file dialog.
 *
 *     onFiles(overlay, field, (files) => open(files));
 */

/** Calls `act` with what is dropped on the page or chosen in the field; `drop` is seen while something hovers. */
export function onFiles(drop: HTMLElement, field: HTMLInputElement, act: (files: File[]) => void): void {
  const come = (files: FileList | null | undefined): void => {
    if (files?.length) act([...files]);
  };
  field.addEventListener("change", () => {
    come(field.files);
    field.value = "";
  });
  addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.hidden = false;
  });
  addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) drop.hidden = true;
  });
  addEventListener("drop", (event) => {
    event.preventDefault();
    drop.hidden = true;
    come(event.dataTransfer?.files);
  });
}
