/** One device of a hub: identity, twin, events as they arrive, certificates. */

import { Spinner, Text } from "@fluentui/react-components";
import { Suspense } from "react";
import { useSearchParams } from "react-router";
import { pageOf } from "../../api/resourceId";
import { AppLink } from "../../frames/AppLink";
import { soon } from "../../frames/later";
import { Tab, TabList } from "../../frames/Tabs";
import { t } from "../../texts";
import { IdentityTab } from "./IdentityTab";

const EventsView = soon(() => import("../events/EventsView"));
const TwinTab = soon(() => import("./TwinTab"));
const Certificates = soon(() => import("./Certificates"));

export default function DeviceView({ hub, device, namespace, partitions }: { hub: { id: string; name: string; host: string }; device: string; namespace: string | undefined; partitions: string[] }) {
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
      <TabList selectedValue={tab} onTabSelect={(_, data) => setParams({ device, show: data.value })}>
        <Tab value="identity">{t.devices.identity}</Tab>
        <Tab value="twin">{t.devices.twin}</Tab>
        <Tab value="events">{t.devices.events}</Tab>
        <Tab value="certificates">{t.devices.certificates}</Tab>
      </TabList>
      <Suspense fallback={<Spinner label={t.common.loading} />}>
        {tab === "identity" && <IdentityTab hub={hub} device={device} />}
        {tab === "twin" && <TwinTab host={hub.host} device={device} />}
        {tab === "events" && <EventsView hubId={hub.id} partitions={partitions} device={device} />}
        {tab === "certificates" && (namespace ? <Certificates namespace={namespace} device={device} /> : <Text block>{t.devices.noNamespace}</Text>)}
      </Suspense>
    </>
  );
}
