import { readSubscription, type Subscription } from "../api/arm";
import { t } from "../texts";
import { ChoiceField } from "./ChoiceField";
import { exactFinder } from "./finders";
import { useSubscriptions } from "./load";

const choiceOf = (subscription: Subscription) => ({ value: subscription.subscriptionId, label: subscription.displayName });
const BY_ID = exactFinder(["subscriptions"], async (text, signal) => choiceOf(await readSubscription(text, signal)));

/** A subscription out of those that one may see. */
export function SubscriptionField(props: { value: string | undefined; required?: boolean; fault?: string | undefined; onChange: (subscription: string) => void }) {
  const found = useSubscriptions();
  return <ChoiceField label={t.scope.subscription} {...props} choices={(found.data?.rows ?? []).map(choiceOf)} of={found} finder={BY_ID} />;
}
