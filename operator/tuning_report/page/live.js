// The live page's way to the server of `tuning dashboard`: JSON once, then server-sent events.

const RETRY = 2000; // milliseconds

const first = document.getElementById("first");
const given = new Map(first ? Object.entries(JSON.parse(first.textContent)) : []);

/** The answer as JSON, that which came with the page once; raises with what the server says of an error. */
export async function get(path) {
  if (given.has(path)) {
    const told = given.get(path);
    given.delete(path);
    return told;
  }
  const answer = await fetch(path);
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(told.error ?? `${answer.status} ${answer.statusText}`);
  return told;
}

/**
 * Calls `handlers[event](data)` for each event, and `onstate("live" | "away")` as the connection comes and goes.
 * `path()` is asked at each connection, so that it goes on where it was. `close` handler-less: call what it returns.
 */
export function follow(path, handlers, onstate) {
  let source;
  let timer;
  let closed = false;
  const connect = () => {
    source = new EventSource(path());
    source.onopen = () => onstate("live");
    source.onerror = () => {
      source.close();
      onstate("away");
      if (!closed) timer = setTimeout(connect, RETRY);
    };
    for (const [event, handle] of Object.entries(handlers)) {
      source.addEventListener(event, ({ data }) => handle(JSON.parse(data)));
    }
  };
  connect();
  return () => {
    closed = true;
    clearTimeout(timer);
    source.close();
  };
}
