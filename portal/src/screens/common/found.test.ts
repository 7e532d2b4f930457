import { expect, test } from "vitest";
import { graphText, TAG, tagValue } from "../../frames/listSource";
import { facetsOf } from "./found";

const QUERY = { filter: "", facets: {}, sort: undefined, page: 0, size: 50 };

test("filters are made of the values that there are, each once", () => {
  const facets = facetsOf(
    {
      more: false,
      combinations: [
        { of_location: "westeurope", of_tags: '{"line":"4","x=y":"a b"}' },
        { of_location: "WestEurope", of_tags: '{"line":"4"}' },
        { of_location: null, of_tags: "no json" },
      ],
    },
    ["location"],
    (id) => id.toUpperCase(),
  );
  expect(facets[0]).toMatchObject({ id: "location", label: "LOCATION", choices: [{ label: "WestEurope" }] });
  expect(facets[1]?.choices).toEqual([
    { value: "line=4", label: "line: 4" },
    { value: "x%3Dy=a%20b", label: "x=y: a b" },
  ]);
});

test("values that are left out are told", () => {
  const many = Array.from({ length: 201 }, (_, at) => ({ of_location: `region ${at}`, of_tags: "{}" }));
  const [location, tag] = facetsOf({ combinations: many, more: false }, ["location"], (id) => id);
  expect([location?.choices.length, location?.more, tag?.more]).toEqual([200, true, false]);
  expect(facetsOf({ combinations: many.slice(0, 2), more: true }, ["location"], (id) => id).map((facet) => facet.more)).toEqual([true, true]);
});

test("a filter by a tag is a condition, whatever the tag is called", () => {
  const text = (value: string) => graphText("resources", "name", {}, "name", { ...QUERY, facets: { [TAG]: value } });
  expect(text(tagValue("x=y", "it's"))).toContain("where tostring(tags['x=y']) =~ 'it\\'s'");
  expect(text("%E0%A4%A=1")).toContain("where false");
});
