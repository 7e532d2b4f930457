import { pageOf } from "../../api/resourceId";
import { AppLink } from "../../frames/AppLink";
import { t } from "../../texts";

/** The way to a linked hub, where one may see it. */
export function Manage({ id }: { id: string | undefined }) {
  return id ? <AppLink to={pageOf(id)}>{t.linked.manage}</AppLink> : "";
}
