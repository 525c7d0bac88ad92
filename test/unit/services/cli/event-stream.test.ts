import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseEventStream, type ServerEvent } from '../../../../services/cli/event-stream.ts'

async function* pieces(text: string, cuts: readonly number[]): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text)
  const edges = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  for (const [index, start] of edges.entries()) yield bytes.subarray(start, edges[index + 1] ?? start)
}

async function read(text: string, cuts: readonly number[] = []): Promise<ServerEvent[]> {
  const events: ServerEvent[] = []
  for await (const event of parseEventStream(pieces(text, cuts))) events.push(event)
  return events
}

describe('server-sent events', () => {
  it('are the same however they are cut', async () => {
    const event = fc.record({ event: fc.stringMatching(/^[a-z]{1,9}$/), data: fc.json() })
    const end = fc.constantFrom('\n', '\r\n')
    await fc.assert(
      fc.asyncProperty(fc.array(event), end, fc.array(fc.nat()), async (events, newline, cuts) => {
        const lines = events.flatMap(({ event: name, data }) => [`event: ${name}`, `data: ${data}`, ': alive', ''])
        expect(await read([...lines, ''].join(newline), cuts)).toEqual(events)
      }),
    )
  })

  it('may have several lines of data, and no name', async () => {
    expect(await read('data:a\ndata: b\ndata\nid: 4\n\ndata: cut')).toEqual([{ event: 'message', data: 'a\nb\n' }])
  })
})
