/**
 * Notes and pedal as columns, in seconds: what the roll draws, the sampler plays and the storage keeps.
 *
 * Knows when a string stops sounding (its key, or the pedal that holds it, or the next stroke of the same key), and where
 * between the notes a prompt can end. Refuses to know files, models and pixels.
 *
 *     const music = emptyMusic();
 *     addNote(music, { pitch: 60, velocity: 80, onset: 0, duration: 0.5 });
 */

export interface Note {
  pitch: number;
  velocity: number;
  /** Seconds from the start. */
  onset: number;
  /** Seconds that the key is down. */
  duration: number;
  channel?: number;
}

/** Sorted by onset; pedal intervals sorted too. Plain arrays, so JSON and clones are free. `programs`: channel, program. */
export interface Music {
  pitch: number[];
  velocity: number[];
  onset: number[];
  duration: number[];
  channel: number[];
  pedalDown: number[];
  pedalUp: number[];
  pedalChannel: number[];
  programs: [number, number][];
}

export const DRUMS = 9;

export function emptyMusic(): Music {
  return {
    pitch: [],
    velocity: [],
    onset: [],
    duration: [],
    channel: [],
    pedalDown: [],
    pedalUp: [],
    pedalChannel: [],
    programs: [],
  };
}

export function copyMusic(music: Music): Music {
  return structuredClone(music);
}

/** The first index whose value is at least `value`, in an ascending column. */
export function firstAtLeast(column: ArrayLike<number>, value: number): number {
  let low = 0;
  let high = column.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (column[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Inserts in onset order, behind notes of the same onset; returns its index. */
export function addNote(music: Music, note: Note): number {
  let index = music.onset.length;
  while (index > 0 && music.onset[index - 1]! > note.onset) index--;
  music.pitch.splice(index, 0, note.pitch);
  music.velocity.splice(index, 0, note.velocity);
  music.onset.splice(index, 0, note.onset);
  music.duration.splice(index, 0, note.duration);
  music.channel.splice(index, 0, note.channel ?? 0);
  return index;
}

/** Adds a pedal; on its channel, intervals that touch become one. */
export function addPedal(music: Music, down: number, up: number, channel = 0): void {
  if (!(up > down)) return;
  const all = music.pedalDown.map((d, i) => ({ down: d, up: music.pedalUp[i]!, channel: music.pedalChannel[i]! }));
  all.push({ down, up, channel });
  all.sort((a, b) => a.down - b.down);
  const united: typeof all = [];
  for (const one of all) {
    const before = united.findLast((other) => other.channel === one.channel);
    if (before && one.down < before.up) before.up = Math.max(before.up, one.up);
    else united.push({ ...one });
  }
  music.pedalDown = united.map((one) => one.down);
  music.pedalUp = united.map((one) => one.up);
  music.pedalChannel = united.map((one) => one.channel);
}

/** When each string stops: the key's release, or the pedal's if it is down then, or the next stroke of the same key. */
export function soundingEnds(music: Music): Float64Array {
  const ends = new Float64Array(music.onset.length);
  const pedals = new Map<number, { down: number[]; up: number[] }>();
  music.pedalDown.forEach((down, i) => {
    const pedal = pedals.get(music.pedalChannel[i]!) ?? { down: [], up: [] };
    pedal.down.push(down);
    pedal.up.push(music.pedalUp[i]!);
    pedals.set(music.pedalChannel[i]!, pedal);
  });
  const next = new Float64Array(16 * 128).fill(Infinity);
  for (let i = ends.length - 1; i >= 0; i--) {
    const onset = music.onset[i]!;
    const key = music.channel[i]! * 128 + music.pitch[i]!;
    let end = onset + music.duration[i]!;
    const pedal = pedals.get(music.channel[i]!);
    if (pedal) {
      const index = firstAtLeast(pedal.up, end);
      if (index < pedal.up.length && pedal.down[index]! <= end) end = pedal.up[index]!;
    }
    ends[i] = Math.min(end, Math.max(next[key]!, onset));
    next[key] = onset;
  }
  return ends;
}

/** Seconds until the last key or pedal is up. */
export function endOf(music: Music): number {
  let end = 0;
  for (let i = 0; i < music.onset.length; i++) {
    end = Math.max(end, music.onset[i]! + music.duration[i]!);
  }
  return Math.max(end, music.pedalUp.at(-1) ?? 0);
}

/** How many notes begin before `seconds`. */
export function notesBefore(music: Music, seconds: number): number {
  return firstAtLeast(music.onset, seconds);
}

/** What begins in [from, to), on the same clock; durations stay whole, and a pedal that is down at `to` is let go there. */
export function slice(music: Music, from: number, to: number): Music {
  const [first, last] = [firstAtLeast(music.onset, from), firstAtLeast(music.onset, to)];
  const part = { ...emptyMusic(), programs: [...music.programs] };
  for (const name of ["pitch", "velocity", "onset", "duration", "channel"] as const) {
    part[name] = music[name].slice(first, last);
  }
  music.pedalDown.forEach((down, i) => {
    addPedal(part, Math.max(down, from), Math.min(music.pedalUp[i]!, to), music.pedalChannel[i]!);
  });
  return part;
}

/**
 * The latest notes, so many or up to twice as many, on the same clock: where it begins moves seldom, so that who has read
 * the one can go on with the next.
 */
export function latest(music: Music, least: number): Music {
  const drops = Math.floor((music.onset.length - least) / least) * least;
  return drops > 0 ? slice(music, music.onset[drops]!, Infinity) : music;
}

/** Without what begins in [from, to). A pedal from before stays; one that lasts beyond is down from `to` on. */
export function emptied(music: Music, from: number, to: number): Music {
  const kept = merged(slice(music, 0, from), slice(music, to, Infinity));
  kept.pedalDown = kept.pedalUp = kept.pedalChannel = [];
  music.pedalDown.forEach((down, i) => {
    const [up, channel] = [music.pedalUp[i]!, music.pedalChannel[i]!];
    if (down < from) addPedal(kept, down, up, channel);
    else if (up > to) addPedal(kept, Math.max(down, to), up, channel);
  });
  return kept;
}

/** Both together. */
export function merged(one: Music, other: Music): Music {
  const all = copyMusic(one);
  other.onset.forEach((onset, i) => {
    addNote(all, {
      pitch: other.pitch[i]!,
      velocity: other.velocity[i]!,
      onset,
      duration: other.duration[i]!,
      channel: other.channel[i]!,
    });
  });
  other.pedalDown.forEach((down, i) => addPedal(all, down, other.pedalUp[i]!, other.pedalChannel[i]!));
  const known = new Set(all.programs.map(([channel]) => channel));
  all.programs.push(...other.programs.filter(([channel]) => !known.has(channel)));
  return all;
}

/** The same music on a clock that begins `seconds` later. */
export function shifted(music: Music, seconds: number): Music {
  const earlier = (s: number): number => Math.max(0, s - seconds);
  return {
    ...copyMusic(music),
    onset: music.onset.map(earlier),
    pedalDown: music.pedalDown.map(earlier),
    pedalUp: music.pedalUp.map(earlier),
  };
}

/** Moments at which a prompt can end without cutting a chord: in the middle between onsets at least 30 ms apart, and the end. */
export function gaps(music: Music): number[] {
  const moments: number[] = [];
  for (let i = 1; i < music.onset.length; i++) {
    const before = music.onset[i - 1]!;
    const after = music.onset[i]!;
    // Just before what follows: keys of the prompt are cut as late as possible, and no note of what follows is taken in.
    if (after - before >= 0.03) moments.push(after - 0.005);
  }
  if (music.onset.length) moments.push(endOf(music));
  return moments;
}

/** The gap nearest to `seconds`, or `seconds` itself where there is none. */
export function nearestGap(moments: readonly number[], seconds: number): number {
  const after = firstAtLeast(moments, seconds);
  const candidates = [moments[after - 1], moments[after]].filter((m): m is number => m !== undefined);
  if (!candidates.length) return seconds;
  return candidates.reduce((best, m) => (Math.abs(m - seconds) < Math.abs(best - seconds) ? m : best));
}

/** "1:05.3" for people. */
export function clock(seconds: number, decimals = 1): string {
  const scale = 10 ** decimals;
  const rounded = Math.round(Math.max(0, seconds) * scale) / scale;
  const minutes = Math.floor(rounded / 60);
  const rest = (rounded - 60 * minutes).toFixed(decimals);
  return `${minutes}:${rest.padStart(decimals ? decimals + 3 : 2, "0")}`;
}

const NAMES = ["C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B"];

/** "C4" for 60. */
export function pitchName(pitch: number): string {
  return `${NAMES[pitch % 12]}${Math.floor(pitch / 12) - 1}`;
}
