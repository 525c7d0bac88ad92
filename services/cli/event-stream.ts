/** One server-sent event. */
export interface ServerEvent {
  readonly event: string
  readonly data: string
}

/** An event larger than this is not one of ours. */
const MAX_EVENT_LENGTH = 16_777_216

/**
 * The events of a stream, as https://html.spec.whatwg.org/multipage/server-sent-events.html reads them, without ids,
 * retries and line ends of a lone CR; comments keep a connection open and are passed over. Cut at any byte.
 */
export async function* parseEventStream(body: AsyncIterable<Uint8Array>): AsyncGenerator<ServerEvent> {
  const decoder = new TextDecoder()
  let rest = ''
  let event = 'message'
  let data: string[] = []
  for await (const bytes of body) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split(/\r?\n/)
    rest = lines.pop() ?? ''
    if (rest.length > MAX_EVENT_LENGTH) throw new RangeError('an event without end')
    for (const line of lines) {
      if (line === '') {
        if (data.length > 0) yield { event, data: data.join('\n') }
        event = 'message'
        data = []
      }
      const [, name, value = ''] = /^(event|data)(?:: ?(.*))?$/s.exec(line) ?? []
      if (name === 'event') event = value
      if (name === 'data') data.push(value)
    }
  }
}
