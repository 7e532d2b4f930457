import { AppLink } from "../../frames/AppLink";
import { Page } from "../../frames/Page";
import { TYPES } from "../../resources";
import { SCREENS } from "../screens";
import { t } from "../../texts";

/** Everything that can be created here. */
export default function Create() {
  const built = TYPES.filter((info) => info.create && SCREENS.some((screen) => screen.path === info.create));
  return (
    <Page title={t.home.create}>
      <ul>
        {built.map((info) => (
          <li key={info.type}>
            <AppLink to={info.create ?? "/"}>{info.one}</AppLink>
          </li>
        ))}
      </ul>
    </Page>
  );
}
