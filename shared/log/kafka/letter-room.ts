import type { Admin } from 'kafkajs'
import { LETTER_ROOM_BYTES } from '../../dead-letter.ts'
import { toSluiceError } from '../../errors.ts'
import type { Logger } from '../../process/logger.ts'
import { alterTopic } from './topic-settings.ts'
import type { TopicState } from './topic-state.ts'

const SETTING = 'max.message.bytes'

/**
 * A dead letter holds a whole record and its faults: where the topic of the letters takes no more than that of the records
 * (one made by an older Sluice, or whose setting was changed), its limit is raised in Kafka and in `states`. Without the
 * right to do that it is said; letters that are too large are then cut, and say so themselves. Never rejects.
 */
export async function makeLetterRoom(
  { records, letters }: { readonly records: string; readonly letters: string },
  states: Map<string, TopicState>,
  withAdmin: <T>(use: (admin: Admin) => Promise<T>) => Promise<T>,
  logger: Logger,
): Promise<void> {
  const state = states.get(letters)
  const needed = (states.get(records)?.maxBatchBytes ?? 0) + LETTER_ROOM_BYTES
  if (state === undefined || state.maxBatchBytes >= needed) return
  const about = { topic: letters, setting: SETTING, from: state.maxBatchBytes, to: needed }
  try {
    await withAdmin((admin) => alterTopic(admin, letters, { [SETTING]: String(needed) }))
    states.set(letters, { ...state, maxBatchBytes: needed })
    logger.info(about, 'topic setting raised, so that it takes the largest records as dead letters')
  } catch (error) {
    const { code, message } = toSluiceError(error, 'log_unavailable')
    logger.warn(
      { ...about, code, reason: message },
      'the topic does not take the largest records as dead letters, which keep their first 4 KiB; please raise its setting',
    )
  }
}
