import { Tab, TabList } from "@fluentui/react-components";
import { useSearchParams } from "react-router";
import { Page } from "../../frames/Page";
import { t } from "../../texts";
import { HubDevices } from "./HubDevices";
import { RegistryDevices } from "./RegistryDevices";

/** Devices across all hubs and namespaces. */
export default function List() {
  const [params, setParams] = useSearchParams();
  const at = params.get("at") === "namespaces" ? "namespaces" : "hubs";
  return (
    <Page title={t.devices.title}>
      <TabList selectedValue={at} onTabSelect={(_, data) => setParams({ at: String(data.value) })}>
        <Tab value="hubs">{t.devices.atHubs}</Tab>
        <Tab value="namespaces">{t.devices.inNamespaces}</Tab>
      </TabList>
      {at === "hubs" ? <HubDevices key="hubs" /> : <RegistryDevices key="namespaces" />}
    </Page>
  );
}
