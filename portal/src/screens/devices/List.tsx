import { Spinner } from "@fluentui/react-components";
import { Suspense } from "react";
import { useSearchParams } from "react-router";
import { soon } from "../../frames/later";
import { Page } from "../../frames/Page";
import { Tab, TabList } from "../../frames/Tabs";
import { t } from "../../texts";

const HubDevices = soon(() => import("./HubDevices"));
const RegistryDevices = soon(async () => ({ default: (await import("./RegistryDevices")).RegistryDevices }));

/** Devices across all hubs and namespaces. */
export default function List() {
  const [params, setParams] = useSearchParams();
  const at = params.get("at") === "namespaces" ? "namespaces" : "hubs";
  return (
    <Page title={t.devices.title}>
      <TabList selectedValue={at} onTabSelect={(_, data) => setParams({ at: data.value })}>
        <Tab value="hubs">{t.devices.atHubs}</Tab>
        <Tab value="namespaces">{t.devices.inNamespaces}</Tab>
      </TabList>
      <Suspense fallback={<Spinner label={t.common.loading} />}>{at === "hubs" ? <HubDevices key="hubs" /> : <RegistryDevices key="namespaces" />}</Suspense>
    </Page>
  );
}
