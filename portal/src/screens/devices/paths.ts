import { pageOf } from "../../api/resourceId";
import { segment } from "../../wellFormed";

/** Page of a device of a hub. Its id is in the query: as a part of the path, an id such as '..' would be a step in it. */
export function devicePage(hubId: string, id: string): string {
  return `${pageOf(hubId, "devices")}?device=${segment(id)}`;
}
