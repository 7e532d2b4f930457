/** Lines of `az` that can be pasted into a shell. */

/** One word of a shell's line: quoted unless it cannot be anything but itself. */
export function shellWord(word: string): string {
  if (/^[A-Za-z0-9_@%+=:,./-]+$/.test(word)) return word;
  return `'${word.replace(/'/g, `'\\''`)}'`;
}

/** A line of `az`: the command, then options; those that are undefined or false are left out, `true` is a flag alone, a list gives several words. */
export function azLine(command: string, options: Record<string, string | number | boolean | string[] | undefined>): string {
  const words = ["az", ...command.split(" ")];
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || value === false) continue;
    words.push(`--${name}`);
    if (value === true) continue;
    for (const word of Array.isArray(value) ? value : [String(value)]) words.push(shellWord(word));
  }
  return words.join(" ");
}

/** Tags as `az` takes them. */
export function tagWords(tags: Record<string, string>): string[] | undefined {
  const words = Object.entries(tags).map(([name, value]) => `${name}=${value}`);
  return words.length > 0 ? words : undefined;
}
