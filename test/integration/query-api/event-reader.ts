import { onTestFinished } from 'vitest'

export interface ServerEvent {
  readonly event: string
  readonly data: Record<string, unknown>
}

export interface EventReader {
  readonly status: number
  readonly headers: Headers
  /** The next event; rejects when the stream ends first. */
  next(): Promise<ServerEvent>
  /** As many events as there are until one that `isLast` accepts, which is included. */
  until(isLast: (event: ServerEvent) => boolean): Promise<ServerEvent[]>
  /** Resolves when the server has ended the stream. */
  ended(): Promise<void>
  /** Comment lines seen so far. */
  readonly comments: string[]
  close(): void
}

/** Reads server-sent events as EventSource does (https://html.spec.whatwg.org/multipage/server-sent-events.html). */
export async function openEvents(url: string, token: string): Promise<EventReader> {
  const controller = new AbortController()
  onTestFinished(() => controller.abort())
  const response = await fetch(url, { headers: { authorization: `Bearer ${token}` }, signal: controller.signal })
  const comments: string[] = []
  const blocks = readBlocks(response, comments)
  const next = async () => {
    for (;;) {
      const { value, done } = await blocks.next()
      if (done === true) throw new Error('the stream ended')
      if (value !== undefined) return value
    }
  }
  return {
    status: response.status,
    headers: response.headers,
    comments,
    next,
    async until(isLast) {
      const events: ServerEvent[] = []
      do events.push(await next())
      while (!isLast(events.at(-1) ?? { event: '', data: {} }))
      return events
    },
    async ended() {
      while ((await blocks.next()).done !== true);
    },
    close: () => controller.abort(),
  }
}

async function* readBlocks(response: Response, comments: string[]): AsyncGenerator<ServerEvent | undefined, undefined> {
  let rest = ''
  for await (const chunk of (response.body ?? new ReadableStream<Uint8Array>()).pipeThrough(new TextDecoderStream())) {
    const parts = (rest + chunk).split('\n\n')
    rest = parts.pop() ?? ''
    for (const part of parts) yield parseBlock(part, comments)
  }
  return undefined
}

function parseBlock(block: string, comments: string[]): ServerEvent | undefined {
  let event = 'message'
  let data = ''
  for (const line of block.split('\n')) {
    if (line.startsWith(':')) comments.push(line.slice(1))
    else if (line.startsWith('event: ')) event = line.slice(7)
    else if (line.startsWith('data: ')) data += line.slice(6)
  }
  return data === '' ? undefined : { event, data: JSON.parse(data) as Record<string, unknown> }
}
