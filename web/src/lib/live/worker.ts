/** The shared worker that holds the browser's one event stream. */
import { Hub, type FromHub, type ToHub } from "./hub";

const hub = new Hub();

addEventListener("connect", (event) => {
  const port = (event as MessageEvent).ports[0]!;
  const deliver = (message: FromHub): void => port.postMessage(message);
  port.onmessage = ({ data }: MessageEvent<ToHub>) => hub.want(deliver, data.topic, data.url);
});
