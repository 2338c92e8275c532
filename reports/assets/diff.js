// Which words two texts do not have in common: the shortest edit script (Myers 1986), word by word.
"use strict";
const wordDiff = (() => {
  const MOST_EDITS = 1500; // beyond, two texts are different and nothing is gained by saying where
  const words = (text) => text.match(/[\p{L}\p{N}]+|\s+|[^\p{L}\p{N}\s]/gu) ?? [];

  /** For each number of edits, how far along every diagonal one gets. */
  function furthest(a, b) {
    const most = Math.min(a.length + b.length, MOST_EDITS);
    const reach = new Int32Array(2 * most + 3);
    const steps = [];
    for (let edits = 0; edits <= most; edits++) {
      steps.push(reach.slice(most - edits, most + edits + 3));
      for (let diagonal = -edits; diagonal <= edits; diagonal += 2) {
        const at = diagonal + most + 1;
        const down = diagonal === -edits || (diagonal !== edits && reach[at - 1] < reach[at + 1]);
        let x = down ? reach[at + 1] : reach[at - 1] + 1;
        while (x < a.length && x - diagonal < b.length && a[x] === b[x - diagonal]) x++;
        reach[at] = x;
        if (x >= a.length && x - diagonal >= b.length) return steps;
      }
    }
    return null;
  }

  /** The words of both texts in common or not: two lists of [text, common]; null when too different. */
  function diff(textA, textB) {
    const [a, b] = [words(textA), words(textB)];
    const steps = furthest(a, b);
    if (!steps) return null;
    const commonA = new Array(a.length).fill(true);
    const commonB = new Array(b.length).fill(true);
    let [x, y] = [a.length, b.length];
    for (let edits = steps.length - 1; edits > 0; edits--) {
      const reach = (diagonal) => steps[edits][diagonal + edits + 1];
      const diagonal = x - y;
      const down = diagonal === -edits || (diagonal !== edits && reach(diagonal - 1) < reach(diagonal + 1));
      const before = down ? diagonal + 1 : diagonal - 1;
      x = reach(before);
      y = x - before;
      if (down) commonB[y] = false;
      else commonA[x] = false;
    }
    return [runs(a, commonA), runs(b, commonB)];
  }

  /** Neighbours of one kind joined. */
  function runs(parts, common) {
    const joined = [];
    parts.forEach((text, at) => {
      // A blank between two words that are not in common is part of what differs.
      const inside = at > 0 && !/\S/.test(text) && !common[at - 1] && common[at + 1] === false;
      const shared = common[at] && !inside;
      if (joined.at(-1)?.[1] === shared) joined.at(-1)[0] += text;
      else joined.push([text, shared]);
    });
    return joined;
  }

  return diff;
})();
