import type { Kind } from "../../api/provisioningData";
import { idPath, nameSegment } from "../../wellFormed";

/** Page of an enrollment of the service `id`; without a name the wizard of a new one. */
export function enrollmentPage(id: string, kind: Kind, name?: string): string {
  return `/enrollments/${name === undefined ? "new" : "edit"}/${kind}${name === undefined ? "" : `/${nameSegment(name)}`}${idPath(id)}`;
}
