import { Button, Checkbox } from "@fluentui/react-components";
import { useState } from "react";
import { armPath } from "../../api/arm";
import { API } from "../../api/versions";
import { TagsField } from "../../frames/TagsField";
import { tagFaults, tagMap, type Tag } from "../../rules";
import { deployments } from "../../shell/useDeployments";
import { t } from "../../texts";
import type { Target } from "./Bulk";

/** Tags that are added to each of them, or put in the place of theirs. */
export default function AssignTags({ targets, onDone }: { targets: Target[]; onDone: () => void }) {
  const [tags, setTags] = useState<Tag[]>([]);
  const [replace, setReplace] = useState(false);
  const off = tagFaults(tags).size > 0 || (tags.length === 0 && !replace);
  const save = () => {
    deployments.start({
      title: t.bulk.tagsPlan(targets.length),
      independent: true,
      steps: targets.map((row) => ({
        title: t.bulk.tagsStep(row.name),
        method: "PATCH" as const,
        path: armPath(`${row.id}/providers/Microsoft.Resources/tags/default`, API.resources),
        body: { operation: replace ? "Replace" : "Merge", properties: { tags: tagMap(tags) } },
      })),
    });
    onDone();
  };
  return (
    <>
      <p>{targets.map((row) => row.name).join(", ")}</p>
      <TagsField value={tags} onChange={setTags} />
      <Checkbox label={t.bulk.replace} checked={replace} onChange={(_, data) => setReplace(data.checked === true)} />
      <div>
        <Button appearance="primary" disabledFocusable={off} onClick={save}>
          {t.common.save}
        </Button>{" "}
        <Button onClick={onDone}>{t.common.cancel}</Button>
      </div>
    </>
  );
}
