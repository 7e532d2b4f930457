import { GROUP, isType, SUBSCRIPTION } from "../../api/resourceId";
import type { BladeProps } from "../../frames/ResourcePage";
import { ActivityLog } from "./ActivityLog";

/** The activity log of what the page is about. */
export default function Activity({ id }: BladeProps) {
  const subscription = id.subscription ?? "";
  if (isType(id.type, SUBSCRIPTION)) return <ActivityLog subscription={subscription} />;
  if (isType(id.type, GROUP)) return <ActivityLog subscription={subscription} group={id.name} />;
  return <ActivityLog subscription={subscription} resource={id.id} />;
}
