/** Starts the studio's page: takes from this browser, the server's file if it was given one, then the elements. */

import "./roll/roll";
import "./studio/knob";
import "./studio/lanes";
import "./studio/takes-panel";
import { Server } from "./server/connection";
import { toMusic } from "./server/protocol";
import { fromFolder } from "./sound/samples";
import { Player } from "./sound/player";
import { Page } from "./studio/page";
import { Shelf } from "./studio/shelf";
import { Studio } from "./studio/studio";
import { Storage } from "./takes/storage";
import { freshTake } from "./takes/tree";

let lost = "";
const alone = await onlyTab();
if (!alone) lost = "The studio is open in another tab, which keeps the takes; those of this tab are gone when it is closed.";
const storage = alone
  ? await Storage.open().catch((error: unknown) => {
      lost = `This browser keeps no takes: ${String(error)}`;
      return null;
    })
  : null;
const shelf = await Shelf.open(storage);
const player = new Player(fromFolder("samples/"));
const server: Server = new Server({
  message: (message) => studio.maker.message(message),
  online: (yes) => {
    document.body.dataset["online"] = String(yes);
    if (!yes) studio.maker.offline();
  },
});
const studio = new Studio(shelf, player, server);
const page = new Page(studio);
page.start();
studio.restore();
if (lost) page.display.note(lost);

const opened = await server.opened();
if (opened && !shelf.forest.takes.some((take) => take.kind === "opened" && take.name === opened.title)) {
  studio.add(freshTake("opened", opened.title), toMusic(opened.music));
}

/** Two tabs would overwrite each other's tree. Browsers that know no locks on an address like this one are believed. */
function onlyTab(): Promise<boolean> {
  return new Promise((resolve) => {
    if (!("locks" in navigator)) return resolve(true);
    void navigator.locks.request("partimento", { ifAvailable: true }, (lock) => {
      resolve(lock !== null);
      return lock && new Promise(() => undefined); // held as long as the tab lives
    });
  });
}
