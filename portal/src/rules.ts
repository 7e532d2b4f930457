/** Rules of fields, in the server's words: a rule gives the sentence that refuses a value, or nothing.
 * The server decides; a rule only says it earlier. `rules.test.ts` has the table of cases. */

export type Rule<T = string> = (value: T) => string | undefined;

interface NameRule {
  min: number;
  max: number;
  legal: RegExp;
  words: string;
}

function name(rule: NameRule): Rule {
  const sentence = `${rule.min} to ${rule.max} characters, ${rule.words}.`;
  return (value) => {
    // Code points, as the server counts.
    const length = [...value].length;
    return length >= rule.min && length <= rule.max && rule.legal.test(value) ? undefined : sentence;
  };
}

export const groupName = name({
  min: 1,
  max: 90,
  legal: /^[\p{L}\p{N}\-_().]*[\p{L}\p{N}\-_()]$/u,
  words: "letters, digits, '-', '_', '(', ')' and '.', not ending in '.'",
});
export const identityName = name({
  min: 3,
  max: 128,
  legal: /^[A-Za-z0-9][A-Za-z0-9\-_]*$/,
  words: "letters, digits, '-' and '_', starting with a letter or digit",
});
export const namespaceName = name({
  min: 3,
  max: 64,
  legal: /^[a-z0-9][a-z0-9-]*[a-z0-9]$/,
  words: "lower-case letters, digits and inner '-'",
});
/** Both seeds say 50; the server takes 63, and longer names that exist are shown. */
export const policyName = name({
  min: 3,
  max: 50,
  legal: /^[A-Za-z0-9][A-Za-z0-9-]*$/,
  words: "letters, digits and '-', starting with a letter or digit",
});
export const hubName = name({
  min: 3,
  max: 50,
  legal: /^[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9]$/,
  words: "letters, digits and inner '-'",
});
export const provisioningName = name({
  min: 3,
  max: 64,
  legal: /^[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9]$/,
  words: "letters, digits and inner '-'",
});
/** Enrollment groups and registration ids. */
export const enrollmentName = name({
  min: 1,
  max: 128,
  legal: /^[A-Za-z0-9\-._:]*[A-Za-z0-9-]$/,
  words: "letters, digits, '-', '.', '_' and ':', ending in a letter, digit or '-'",
});
/** CA certificates of hubs and provisioning services. */
export const caCertificateName = name({
  min: 1,
  max: 64,
  legal: /^[A-Za-z0-9\-._]*$/,
  words: "letters, digits, '-', '.' and '_'",
});
export const lockName = name({
  min: 1,
  max: 90,
  legal: /^[^<>%&:\\?/\u0000-\u001f]*[^<>%&:\\?/.\u0000-\u001f ]$/,
  words: "none of < > % & : \\ ? /, not ending in '.' or a space",
});

export const deviceId: Rule = (value) =>
  /^[A-Za-z0-9\-.%_*?!(),:=@$']{1,128}$/.test(value)
    ? undefined
    : `The device id '${[...value].slice(0, 128).join("")}' is not valid: 1 to 128 ASCII letters, digits and -.%_*?!(),:=@$' are allowed.`;

/** A symmetric key: standard base64 of 16 to 64 bytes. */
export const symmetricKey = (property: string, value: string): string | undefined => {
  const sentence = `${property} is not a key: give the standard base64 of 16 to 64 bytes.`;
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(value)) return sentence;
  const bytes = (value.length / 4) * 3 - (value.endsWith("==") ? 2 : value.endsWith("=") ? 1 : 0);
  return bytes >= 16 && bytes <= 64 ? undefined : sentence;
};

export const validityDays: Rule = (value) => {
  const days = Number(value);
  const whole = /^\d+$/.test(value.trim()) && Number.isInteger(days) && days >= 1 && days <= 3650;
  return whole ? undefined : "Enter 1 to 3650 days.";
};

export const required: Rule<string | undefined> = (value) => (value ? undefined : "Choose one.");

/** Most tags of a resource (reference: resource-manager.md section 6). */
export const TAGS_MAX = 50;

export interface Tag {
  name: string;
  value: string;
}

/** What is wrong with each row of tags, by its place; rows that are empty are no tags. */
export function tagFaults(tags: Tag[]): Map<number, string> {
  const faults = new Map<number, string>();
  const seen = new Set<string>();
  let count = 0;
  tags.forEach((tag, at) => {
    if (tag.name === "" && tag.value === "") return;
    count += 1;
    const lower = tag.name.toLowerCase();
    if (!/^[^<>%&\\?/\u0000-\u001f]{1,512}$/.test(tag.name)) {
      faults.set(at, "Names have 1 to 512 characters and none of < > % & \\ ? /.");
    } else if ([...tag.value].length > 256) {
      faults.set(at, "Values have up to 256 characters.");
    } else if (seen.has(lower)) {
      faults.set(at, "There is a tag of this name already; case does not count.");
    } else if (count > TAGS_MAX) {
      faults.set(at, `A resource has up to ${TAGS_MAX} tags.`);
    }
    seen.add(lower);
  });
  return faults;
}

/** Rows as the map that the server takes. */
export function tagMap(tags: Tag[]): Record<string, string> {
  return Object.fromEntries(tags.filter((tag) => tag.name !== "").map((tag) => [tag.name, tag.value]));
}
