import type { TelemetryLog } from '../../shared/log/port.ts'
import type { Registry } from '../../shared/registry/port.ts'
import { TombstoneView, type Tombstone } from '../../shared/registry/tombstones-port.ts'
import { DeletedLetters } from './deleted-letters.ts'
import { newestPages } from './replay/letter-pages.ts'

/** Records of letters that are looked at for a count. */
const MOST_LETTERS = 20_000

/** Letters that a deletion takes with it, and whether all were looked at; without those that are gone already. */
export async function countDeleted(
  {
    log,
    registry,
  }: {
    readonly log: Pick<TelemetryLog, 'offsets' | 'read'>
    readonly registry: Pick<Registry, 'tombstones' | 'names'>
  },
  tombstone: Tombstone,
  signal: AbortSignal,
): Promise<{ readonly letters: number; readonly lettersComplete: boolean }> {
  const before = await DeletedLetters.of(registry)
  const then = new DeletedLetters(new TombstoneView([tombstone]), registry.names)
  const found = new Set<string>()
  for await (const { letters, isLast } of newestPages(log, MOST_LETTERS, signal)) {
    for (const { id, letter } of letters) if (then.has(letter) && !before.has(letter)) found.add(id)
    if (isLast) return { letters: found.size, lettersComplete: true }
  }
  return { letters: found.size, lettersComplete: false }
}
