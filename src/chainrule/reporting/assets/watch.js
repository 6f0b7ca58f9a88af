// Asks the server that the page came from whether there is something new, and shows it.
(function () {
  "use strict";
  let seen = null;
  async function ask() {
    try {
      const answer = await fetch("version", { cache: "no-store" });
      const now = await answer.text();
      if (answer.ok && seen !== null && now !== seen) return location.reload();
      if (answer.ok) seen = now;
    } catch (_) { /* the server has ended: the page stays as it is, and asks again */ }
    setTimeout(ask, 2000);
  }
  ask();
})();
