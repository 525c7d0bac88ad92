import { parsePartitioning } from '../../shared/log/kafka/partitioning.ts'
import { MemoryFacts } from '../fakes/memory-facts.ts'

/** Known-wrong: whoever asks for more partitions settles it, and nobody waits for anybody. */
export function hastyFacts(): MemoryFacts {
  const facts = new MemoryFacts()
  const change = facts.change.bind(facts)
  facts.change = (name, step) =>
    change(name, (said, nowMs) => {
      const { say, result } = step(said, nowMs)
      const asked = say === undefined ? undefined : parsePartitioning(say)
      return { say: asked?.state === 'asked' ? JSON.stringify({ ...asked, state: 'settled' }) : say, result }
    })
  return facts
}
