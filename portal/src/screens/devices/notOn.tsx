import { parseId, sameId } from "../../api/resourceId";
import { Mark } from "../../frames/Mark";
import { t } from "../../texts";
import { missing, type Standing } from "../namespaces/facts";
import { hubsOf, type RegistryRow } from "./devices";

export const namespaceOf = (id: string): string => parseId(id)?.parent ?? "";

/** Where the policy of a device is not on a hub that the device is on. */
export function notOn(row: Pick<RegistryRow, "properties">, standings: Standing[]): Standing[] {
  const policy = row.properties?.policy?.resourceId;
  const hubs = hubsOf(row).map((hub) => hub.toLowerCase());
  return missing(standings).filter((each) => sameId(each.policyResourceId, policy) && hubs.includes(each.hub.toLowerCase()));
}

export function NotOnBadges({ at }: { at: Standing[] }) {
  return at.map((each) => (
    <Mark key={each.hub} failed={each.state === "Failed"}>
      {t.devices.notOn(each.policy, each.hub)}
    </Mark>
  ));
}
