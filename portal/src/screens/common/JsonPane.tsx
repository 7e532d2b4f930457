import { makeStyles } from "@fluentui/react-components";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { read } from "../../api/arm";
import type { ResourceId } from "../../api/resourceId";
import { API, versionOf } from "../../api/versions";
import { CopyButton } from "../../frames/CopyButton";
import { Essentials } from "../../frames/Essentials";
import { ChoiceField } from "../../frames/Fields";
import { JsonView } from "../../frames/JsonView";
import { Loaded } from "../../frames/Loaded";
import { t } from "../../texts";

interface Provider {
  resourceTypes?: { resourceType: string; apiVersions: string[] }[];
}

const useStyles = makeStyles({ copy: { display: "flex", alignItems: "center", gap: "4px", marginBottom: "8px" } });

/** The document of a resource as the server gives it, under each api-version that it has. */
export default function JsonPane({ id }: { id: ResourceId }) {
  const styles = useStyles();
  const own = versionOf(id.type);
  const [version, setVersion] = useState(own);
  const provider = id.type.split("/")[0] ?? "";
  const versions = useQuery({
    queryKey: ["provider", provider],
    queryFn: ({ signal }) => read<Provider>(`/subscriptions/${id.subscription}/providers/${provider}`, API.resources, signal),
    staleTime: 3_600_000,
  });
  const document = useQuery({
    queryKey: ["arm-json", id.id.toLowerCase(), version],
    queryFn: ({ signal }) => read<Record<string, unknown>>(id.id, version, signal),
  });
  const rest = id.type.split("/").slice(1).join("/").toLowerCase();
  const known = versions.data?.resourceTypes?.find((each) => each.resourceType.toLowerCase() === rest)?.apiVersions ?? [];
  const choices = [...new Set([own, ...known])].sort().reverse();
  return (
    <>
      <Essentials facts={[{ label: t.columns.id, value: id.id }]} />
      <ChoiceField label={t.jsonPane.version} value={version} choices={choices.map((each) => ({ value: each, label: each }))} of={versions} onChange={setVersion} />
      <Loaded of={document}>
        {(found) => {
          const principal = (found["identity"] as { principalId?: string } | undefined)?.principalId;
          return (
            <>
              {principal && (
                <div className={styles.copy}>
                  {t.jsonPane.principal}: <code>{principal}</code>
                  <CopyButton value={principal} what="principalId" />
                </div>
              )}
              <JsonView value={found} name={id.name} />
            </>
          );
        }}
      </Loaded>
    </>
  );
}
