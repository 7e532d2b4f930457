/** What a window and its browser keep for whoever is signed in: forms, writes in progress, places in lists, resources that were looked at.
 * It has an owner, and nobody else sees it or goes on with it. */

const OWNER = "ferrohub.owner";
/** What of the browser's storage is somebody's; the theme is nobody's. */
const PERSONAL = ["ferrohub.recent", OWNER];

type Store = Pick<Storage, "getItem" | "setItem" | "removeItem" | "clear">;

/** Takes away what another account left, or nobody knows who; from now on what is kept is of `objectId`. */
export function keepOnlyOf(objectId: string, ofWindow: Store = sessionStorage, ofBrowser: Store = localStorage): void {
  for (const [store, forget] of [[ofWindow, () => ofWindow.clear()], [ofBrowser, () => forgetPersonal(ofBrowser)]] as const) {
    if (store.getItem(OWNER) === objectId) continue;
    forget();
    try {
      store.setItem(OWNER, objectId);
    } catch {
      // Full: nobody is known to own what is kept, so that it is gone at the next sign-in.
    }
  }
}

/** Takes it all away. */
export function forgetKept(ofWindow: Store = sessionStorage, ofBrowser: Store = localStorage): void {
  ofWindow.clear();
  forgetPersonal(ofBrowser);
}

function forgetPersonal(ofBrowser: Store): void {
  for (const key of PERSONAL) ofBrowser.removeItem(key);
}
