/** One device of a hub: identity, twin, events as they arrive, certificates. */

import { Tab, TabList, Text } from "@fluentui/react-components";
import { useQuery } from "@tanstack/react-query";
import { useSearchParams } from "react-router";
import { query, quote } from "../../api/graphQuery";
import { pageOf } from "../../api/resourceId";
import { AppLink } from "../../frames/AppLink";
import { Failure } from "../../frames/Failure";
import { Loaded } from "../../frames/Loaded";
import { t } from "../../texts";
import { Inventory } from "../certificates/Inventory";
import { EventsView } from "../events/EventsView";
import { useStandings } from "../namespaces/facts";
import type { RegistryRow } from "./devices";
import { IdentityTab } from "./IdentityTab";
import { notOn, NotOnBadges } from "./RegistryDevices";
import { TwinTab } from "./TwinTab";

export function DeviceView({ hub, device, namespace, partitions }: { hub: { id: string; name: string; host: string }; device: string; namespace: string | undefined; partitions: string[] }) {
  const [params, setParams] = useSearchParams();
  const tab = params.get("show") ?? "identity";
  return (
    <>
      <p>
        <AppLink to={pageOf(hub.id, "devices")}>{t.devices.back}</AppLink>
      </p>
      <Text as="h2" size={500} weight="semibold" block>
        {device}
      </Text>
      <TabList selectedValue={tab} onTabSelect={(_, data) => setParams({ device, show: String(data.value) })}>
        <Tab value="identity">{t.devices.identity}</Tab>
        <Tab value="twin">{t.devices.twin}</Tab>
        <Tab value="events">{t.devices.events}</Tab>
        <Tab value="certificates">{t.devices.certificates}</Tab>
      </TabList>
      {tab === "identity" && <IdentityTab hub={hub} device={device} />}
      {tab === "twin" && <TwinTab host={hub.host} device={device} />}
      {tab === "events" && <EventsView hubId={hub.id} partitions={partitions} device={device} />}
      {tab === "certificates" && (namespace ? <Certificates namespace={namespace} device={device} /> : <Text block>{t.devices.noNamespace}</Text>)}
    </>
  );
}

function Certificates({ namespace, device }: { namespace: string; device: string }) {
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
