/** One event. */

import { useState } from "react";
import { Essentials } from "../../frames/Essentials";
import { JsonView } from "../../frames/JsonView";
import { Tab, TabList } from "../../frames/Tabs";
import { t } from "../../texts";
import { type Event } from "./activityLog";

export default function EventView({ event }: { event: Event }) {
  const [tab, setTab] = useState("summary");
  return (
    <>
      <TabList selectedValue={tab} onTabSelect={(_, data) => setTab(data.value)}>
        <Tab value="summary">{t.activity.summary}</Tab>
        <Tab value="json">JSON</Tab>
      </TabList>
      {tab === "json" ? (
        <JsonView value={event} name={event.eventDataId} />
      ) : (
        <Essentials
          facts={[
            { label: t.activity.action, value: event.operationName.value },
            { label: t.activity.status, value: event.status.value },
            { label: t.activity.stamp, value: event.eventTimestamp },
            { label: t.activity.caller, value: event.caller },
            { label: t.activity.resource, value: event.resourceId },
            { label: t.activity.correlation, value: event.correlationId },
            ...Object.entries(event.properties ?? {}).map(([label, value]) => ({ label, value: String(value) })),
          ]}
        />
      )}
    </>
  );
}
