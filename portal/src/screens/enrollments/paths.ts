import type { Kind } from "../../api/provisioningData";
import { segment } from "../../wellFormed";

/** Page of an enrollment of the service `id`; without a name the wizard of a new one. */
export function enrollmentPage(id: string, kind: Kind, name?: string): string {
  return `/enrollments/${name === undefined ? "new" : "edit"}/${kind}${name === undefined ? "" : `/${segment(name)}`}${id}`;
}
