/** What a window and its browser keep for whoever is signed in: forms, writes in progress, places in lists, resources that were looked at.
 * It has an owner, and nobody else sees it or goes on with it. A window has one owner at a time; the browser's storage is shared by windows in
 * which several may be signed in, so that each name in it ends in its owner's object id. */

const OWNER = "ferrohub.owner";
/** What of the browser's storage is somebody's; the theme is nobody's. */
const PERSONAL = ["ferrohub.recent", "ferrohub.last-region", OWNER];

type Store = Pick<Storage, "getItem" | "setItem" | "removeItem" | "clear" | "key" | "length">;

/** Who is signed in in this window. */
let owner: string | undefined;

/** Takes away what another account left, or nobody knows who; from now on what is kept is of `objectId`. */
export function keepOnlyOf(objectId: string, ofWindow: Store = sessionStorage, ofBrowser: Store = localStorage): void {
  owner = objectId;
  forgetPersonal(ofBrowser, (name) => PERSONAL.some((each) => name === ofOwner(each, objectId)));
  if (ofWindow.getItem(OWNER) === objectId) return;
  ofWindow.clear();
  try {
    ofWindow.setItem(OWNER, objectId);
  } catch {
    // Full: nobody is known to own what is kept, so that it is gone at the next sign-in.
  }
}

/** Takes away what is kept of whoever is signed in; of anybody, where nobody is. What another person does in another window stays theirs. */
export function forgetKept(ofWindow: Store = sessionStorage, ofBrowser: Store = localStorage): void {
  const mine = owner;
  ofWindow.clear();
  forgetPersonal(ofBrowser, (name) => mine !== undefined && !PERSONAL.some((each) => name === each || name === ofOwner(each, mine)));
}

/** What the browser keeps under `name` for whoever is signed in in this window. */
export function readOwn(name: string, ofBrowser: Pick<Store, "getItem"> = localStorage): string | null {
  return owner === undefined ? null : ofBrowser.getItem(ofOwner(name, owner));
}

/** Keeps it; where the storage is full, not. */
export function keepOwn(name: string, value: string, ofBrowser: Pick<Store, "setItem"> = localStorage): void {
  if (owner === undefined) return;
  try {
    ofBrowser.setItem(ofOwner(name, owner), value);
  } catch {
    // Full: what was kept before stays.
  }
}

const ofOwner = (name: string, objectId: string): string => `${name}.${objectId}`;

/** Takes away what is somebody's, but for names that `stays`. */
function forgetPersonal(ofBrowser: Store, stays: (name: string) => boolean): void {
  const names = Array.from({ length: ofBrowser.length }, (_, at) => ofBrowser.key(at) ?? "");
  for (const name of names) {
    if (PERSONAL.some((each) => name === each || name.startsWith(`${each}.`)) && !stays(name)) ofBrowser.removeItem(name);
  }
}
