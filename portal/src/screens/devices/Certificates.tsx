/** The certificates of a device, and how it stands in the namespace. */

import { useQuery } from "@tanstack/react-query";
import { query, quote } from "../../api/graphQuery";
import { pageOf } from "../../api/resourceId";
import { AppLink } from "../../frames/AppLink";
import { Failure } from "../../frames/Failure";
import { Loaded } from "../../frames/Loaded";
import { t } from "../../texts";
import { Inventory } from "../certificates/Inventory";
import { useStandings } from "../namespaces/facts";
import type { RegistryRow } from "./devices";
import { notOn, NotOnBadges } from "./notOn";

export default function Certificates({ namespace, device }: { namespace: string; device: string }) {
  const standings = useStandings(namespace);
  const registry = useQuery({
    queryKey: ["registry-of", namespace.toLowerCase(), device],
    queryFn: async ({ signal }) => {
      const text = `resources | where type =~ 'microsoft.deviceregistry/namespaces/devices' | where id startswith ${quote(`${namespace}/`)} | where tostring(properties.externalDeviceId) == ${quote(device)}`;
      return (await query<RegistryRow>(text, { top: 1, signal })).rows[0] ?? null;
    },
  });
  return (
    <>
      {standings.error && <Failure fault={standings.error} retry={() => void standings.refetch()} />}
      <Loaded of={registry}>
        {(row) =>
          row && (
            <p>
              {t.devices.inNamespaces}: <AppLink to={pageOf(row.id)}>{row.name}</AppLink> <NotOnBadges at={notOn(row, standings.data ?? [])} />
            </p>
          )
        }
      </Loaded>
      <Inventory namespace={namespace} device={device} />
    </>
  );
}
