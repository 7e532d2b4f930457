import { useSearchParams } from "react-router";
import { useSubscriptions } from "../../frames/load";
import { Loaded } from "../../frames/Loaded";
import { Page } from "../../frames/Page";
import { SubscriptionField } from "../../frames/SubscriptionField";
import { t } from "../../texts";
import { ActivityLog } from "../common/ActivityLog";

/** The activity log of a whole subscription. */
export default function Activity() {
  const [params, setParams] = useSearchParams();
  const subscriptions = useSubscriptions();
  return (
    <Page title={t.activityAll.title}>
      <Loaded of={subscriptions}>
        {(found) => {
          const chosen = params.get("subscription") ?? found.rows[0]?.subscriptionId;
          return (
            <>
              <SubscriptionField value={chosen} onChange={(subscription) => setParams({ subscription })} />
              {chosen ? <ActivityLog key={chosen} subscription={chosen} /> : <p>{t.activityAll.choose}</p>}
            </>
          );
        }}
      </Loaded>
    </Page>
  );
}
