import { EventSourceParserStream, type EventSourceMessage } from 'eventsource-parser/stream'

/** An event larger than this is not one of ours. */
const MAX_EVENT_LENGTH = 16_777_216

/** The events of a stream; an event without end is an error. */
export function readEvents(body: ReadableStream<Uint8Array<ArrayBuffer>>): ReadableStream<EventSourceMessage> {
  return body
    .pipeThrough(new TextDecoderStream())
    .pipeThrough(new EventSourceParserStream({ maxBufferSize: MAX_EVENT_LENGTH }))
}
