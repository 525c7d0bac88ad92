import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readEvents } from '../../../../services/cli/event-stream.ts'

interface ServerEvent {
  readonly event?: string | undefined
  readonly data: string
}

function* pieces(text: string, cuts: readonly number[]): Generator<Uint8Array<ArrayBuffer>> {
  const bytes = Buffer.from(text)
  const edges = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  for (const [index, start] of edges.entries()) yield new Uint8Array(bytes.subarray(start, edges[index + 1] ?? start))
}

async function read(text: string, cuts: readonly number[] = []): Promise<ServerEvent[]> {
  const events: ServerEvent[] = []
  for await (const { event, data } of readEvents(ReadableStream.from(pieces(text, cuts)))) events.push({ event, data })
  return events
}

describe('server-sent events', () => {
  it('are the same however they are cut', async () => {
    const event = fc.record({ event: fc.stringMatching(/^[a-z]{1,9}$/), data: fc.json() })
    const end = fc.constantFrom('\n', '\r\n', '\r')
    await fc.assert(
      fc.asyncProperty(fc.array(event), end, fc.array(fc.nat()), async (events, newline, cuts) => {
        const lines = events.flatMap(({ event: name, data }) => [`event: ${name}`, `data: ${data}`, ': alive', ''])
        expect(await read([...lines, ''].join(newline), cuts)).toEqual(events)
      }),
    )
  })

  it('may have several lines of data, and no name', async () => {
    expect(await read('data:a\ndata: b\ndata\nid: 4\n\ndata: cut')).toEqual([{ event: undefined, data: 'a\nb\n' }])
  })

  it('without an end are an error before they fill the memory', async () => {
    await expect(read(`data: ${'x'.repeat(17_000_000)}`)).rejects.toThrow('buffer')
  })
})
