import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AedesStream, type AedesStreamOwner } from '../../../../../services/broker/sessions/aedes-stream.ts'
import { packet } from '../../../../mqtt/packets.ts'

/** A stream whose owner notes what it gets. */
function setUp() {
  const forwarded: { bytes: Buffer; types: readonly number[] }[] = []
  const closed: (Error | null)[] = []
  let takenLater: (() => void)[] | undefined
  const owner: AedesStreamOwner = {
    principal: { kind: 'device', name: 'a/1', tenant: 'a', device: '1', uid: '1' },
    unsentBytes: 0,
    packetsFromAedes: (packets, bytes, taken) => {
      forwarded.push({ bytes, types: packets.map(({ header }) => header >> 4) })
      if (takenLater === undefined) taken()
      else takenLater.push(taken)
    },
    forwards: () => undefined,
    subscribed: () => undefined,
    isOverQuota: () => undefined,
    releasesNothing: () => undefined,
  }
  const connection = {
    ready: () => undefined,
    aedesMoved: () => undefined,
    aedesClosed: (error: Error | null) => void closed.push(error),
  }
  const hold = (): (() => void) => {
    const held: (() => void)[] = (takenLater = [])
    return () => {
      takenLater = undefined
      for (const taken of held) taken()
    }
  }
  return { stream: new AedesStream(owner, connection), forwarded, closed, hold }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Writes a packet as aedes does: corked, in pieces, uncorked in the next tick. */
function writeLikeAedes(stream: AedesStream, bytes: Buffer, pieces: readonly number[]): void {
  stream.cork()
  process.nextTick(() => stream.uncork())
  for (let at = 0, index = 0; at < bytes.length; index += 1) {
    const length = pieces[index % pieces.length] ?? 1
    stream.write(bytes.subarray(at, at + length))
    at += length
  }
}

describe('AedesEnd', () => {
  it('hands on whole packets, however they were written and however slow the client is', async () => {
    const sent = fc.array(
      fc.oneof(
        fc.constantFrom(packet.pingreq, packet.puback(7), packet.subscribe(1, ['a/b', 1])),
        fc.string({ maxLength: 300 }).map((payload) => packet.publish('a/b', payload, { qos: 1, id: 9 })),
      ),
      { minLength: 1, maxLength: 12 },
    )
    const pieces = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 5 })
    const turns = fc.array(fc.boolean(), { minLength: 1, maxLength: 5 })
    await fc.assert(
      fc.asyncProperty(sent, pieces, turns, fc.boolean(), async (packets, lengths, waits, isSlow) => {
        const { stream, forwarded, closed, hold } = setUp()
        const release = isSlow ? hold() : () => undefined
        for (const [index, bytes] of packets.entries()) {
          writeLikeAedes(stream, bytes, lengths)
          if (waits[index % waits.length] === true) await turn()
        }
        await turn()
        release()
        await turn()
        expect(Buffer.concat(forwarded.map(({ bytes }) => bytes))).toEqual(Buffer.concat(packets))
        expect(forwarded.flatMap(({ types }) => types)).toEqual(packets.map((bytes) => (bytes[0] ?? 0) >> 4))
        expect(closed).toEqual([])
        stream.destroy()
      }),
    )
  })

  it('closes the connection rather than hand on a part of a packet', async () => {
    const { stream, forwarded, closed } = setUp()
    stream.on('error', () => undefined)
    stream.write(packet.publish('a/b', 'x').subarray(0, 5))
    await turn()
    expect(forwarded).toEqual([])
    expect(closed).toMatchObject([{ message: 'aedes wrote something other than whole packets' }])
  })

  it('gives all that is queued at once, and then nothing, also to a reader that asks from within', () => {
    const { stream } = setUp()
    stream.deliver(Buffer.from('one'))
    stream.deliver(Buffer.from('two'))
    expect(stream.read()?.toString()).toBe('onetwo')
    expect(stream.read()).toBeNull()
    stream.destroy()
  })
})
