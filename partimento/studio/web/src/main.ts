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

let lost = "";
const storage = await Storage.open().catch((error: unknown) => {
  lost = String(error);
  return null;
});
const shelf = await Shelf.open(storage);
const player = new Player(fromFolder("samples/"));
const server: Server = new Server({
  message: (message) => studio.message(message),
  online: (yes) => {
    document.body.dataset["online"] = String(yes);
    if (!yes) studio.offline();
  },
});
const studio = new Studio(shelf, player, server);
const page = new Page(studio);
page.start();
studio.restore();
if (lost) page.note(`this browser keeps no takes: ${lost}`);

const opened = await server.opened();
if (opened && !shelf.forest.takes.some((take) => take.kind === "opened" && take.name === opened.title)) {
  studio.add("opened", opened.title, toMusic(opened.music));
}
