import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isEntry, SharedGroups } from '../../../../../services/broker/telemetry/shared-groups.ts'

const SHARE = '$share/g/a/#'
const step = fc.record({
  kind: fc.constantFrom('join', 'leave', 'send'),
  client: fc.integer({ min: 0, max: 3 }),
  node: fc.constantFrom(0, 1),
})

describe('groups of shared subscriptions', () => {
  it('of two nodes that tell each other are the same, and each message has one member of those that are there', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const nodes: SharedGroups[] = []
        for (const [own, other] of [
          [0, 1],
          [1, 0],
        ] as const) {
          nodes.push(new SharedGroups((entry, isThere) => nodes[other]?.heard(`node ${own}`, entry, isThere)))
        }
        const members = new Set<string>()
        for (const { kind, client, node } of steps) {
          const clientId = `app//${node}-${client}`
          if (kind === 'join' && !members.has(clientId)) nodes[node]?.add(SHARE, clientId)
          if (kind === 'leave' && members.has(clientId)) nodes[node]?.remove(SHARE, clientId)
          if (kind !== 'send') members[kind === 'join' ? 'add' : 'delete'](clientId)
          const turns = nodes[node]?.next('a/b') ?? []
          expect(turns.length).toBe(members.size === 0 ? 0 : 1)
          for (const turn of turns) {
            expect(members).toContain(turn.clientId)
            expect(turn.node).toBe(turn.clientId.startsWith(`app//${node}`) ? undefined : `node ${1 - node}`)
          }
        }
        expect(nodes.map((groups) => groups.members)).toEqual([members.size, members.size])
      }),
    )
  })

  it('have turns as many for each, and none on a node that is gone', () => {
    const groups = new SharedGroups()
    groups.add(SHARE, 'app//here')
    for (const [node, id] of [
      ['n1', 'app//1'],
      ['n1', 'app//2'],
      ['n2', 'app//3'],
    ] as const)
      groups.heard(node, `${SHARE}\n${id}`, true)
    const counts = new Map<string, number>()
    for (let n = 0; n < 400; n += 1) {
      for (const { clientId } of groups.next('a')) counts.set(clientId, (counts.get(clientId) ?? 0) + 1)
    }
    expect([...counts.values()]).toEqual([100, 100, 100, 100])
    const without = new Set(Array.from({ length: 9 }, () => groups.next('a', ['n1'])[0]?.clientId))
    expect(without).toEqual(new Set(['app//here', 'app//3']))
    groups.forget('n1')
    expect([groups.members, groups.next('b'), groups.size]).toEqual([2, [], 1])
  })

  it('are no topic filters to other nodes', () => {
    expect([isEntry('$share/g/a/#'), isEntry('a/#'), isEntry('$share/g/a/#\napp//1')]).toEqual([false, false, true])
  })
})
