/** Leads a listener through a test: consent, headphones, comparisons. Every key does what the button does that names it. */

import { find } from "../studio/find";
import { Comparison } from "./comparison";
import { HeadphoneTest } from "./headphones";
import { Refused, Server, type Task } from "./server";

const server = new Server();
const context = new AudioContext();
const study = await server.study();

document.title = find("#name").textContent = study.name;
find("#consent-text").textContent = study.consent;
find("#question").textContent = study.question;
find("#criteria").textContent = study.criteria;
find("#thanks").textContent = study.thanks;

void lead();

async function lead(): Promise<void> {
  let task = await tried(async () => (server.known ? await server.task() : await consented()));
  while (task.task !== "done" && task.task !== "refused") task = await tried(() => step(task));
  show(task.task);
}

function step(task: Task): Promise<Task> {
  if (task.task === "headphones") {
    show("headphones");
    return new HeadphoneTest(context, server).run(task.questions, task.attempt, task.attempts);
  }
  if (task.task === "compare") {
    show("compare");
    return new Comparison(context, server, study).run(task.number, task.of, (error) => note(String(error)));
  }
  return Promise.resolve(task);
}

function consented(): Promise<Task> {
  show("consent");
  const agree = find<HTMLInputElement>("#agree");
  const begin = find<HTMLButtonElement>("#begin");
  agree.onchange = () => {
    begin.disabled = !agree.checked;
  };
  return new Promise((resolve, reject) => {
    begin.onclick = () => {
      void context.resume();
      server.join().then(resolve, reject);
    };
  });
}

/** Does it, again where it fails: a server that is away is asked again when the listener says so. */
async function tried(work: () => Promise<Task>): Promise<Task> {
  for (;;) {
    try {
      const task = await work();
      note("");
      return task;
    } catch (error) {
      if (error instanceof Refused && error.status === 401) {
        server.forget();
        return tried(consented);
      }
      note(`${String(error)} Press any key or click here to try again.`);
      await new Promise((resolve) => {
        find("#note").onclick = resolve;
        addEventListener("keydown", resolve, { once: true });
      });
      note("");
    }
  }
}

function show(section: string): void {
  for (const each of document.querySelectorAll("section")) each.hidden = each.id !== section;
  document.body.dataset["section"] = section;
}

function note(text: string): void {
  const element = find("#note");
  element.hidden = text === "";
  element.textContent = text;
}

const KEYS: Record<string, string> = {
  a: "[data-side=a]",
  b: "[data-side=b]",
  c: "#continuation",
  "1": "[data-choice=a], [data-noise='0']",
  "2": "[data-choice=none], [data-noise='1']",
  "3": "[data-choice=b], [data-noise='2']",
  " ": "#play, #noises",
};

addEventListener("keydown", (event) => {
  const target = event.target as HTMLElement;
  if (event.ctrlKey || event.metaKey || event.altKey || target instanceof HTMLTextAreaElement) return;
  const section = document.querySelector("section:not([hidden])");
  const wanted = KEYS[event.key.toLowerCase()];
  if (wanted) pressed(section?.querySelector<HTMLElement>(wanted), event);
  else if (event.key === "Enter" && !(target instanceof HTMLButtonElement)) pressed(section?.querySelector<HTMLElement>("#next"), event);
  else if ((event.key === "ArrowLeft" || event.key === "ArrowRight") && target.id !== "position") moved(event);
});

function pressed(button: HTMLElement | null | undefined, event: KeyboardEvent): void {
  if (!button) return;
  event.preventDefault();
  button.click();
}

function moved(event: KeyboardEvent): void {
  const position = find<HTMLInputElement>("#position");
  if (position.disabled) return;
  event.preventDefault();
  position.value = String(Number(position.value) + (event.key === "ArrowLeft" ? -5 : 5));
  position.dispatchEvent(new Event("input"));
}
