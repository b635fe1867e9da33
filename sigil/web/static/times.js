// Times relative to now ("5 min. ago"), by the gateway's clock.

const format = new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "short" });
const UNITS = [["day", 86_400_000], ["hour", 3_600_000], ["minute", 60_000]];
let ahead = 0;

export function setClock(now) {
  ahead = now - Date.now();
}

export const ageOf = (at) => Date.now() + ahead - at;

export function relative(at) {
  const age = ageOf(at);
  if (age > 6 * 86_400_000) return new Date(at).toLocaleDateString();
  for (const [unit, length] of UNITS) {
    if (age >= length) return format.format(-Math.floor(age / length), unit);
  }
  return "now";
}

export function refreshTimes() {
  for (const time of document.querySelectorAll("time[datetime]")) {
    time.textContent = relative(Date.parse(time.dateTime));
  }
}
