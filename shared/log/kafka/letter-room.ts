import type { Admin } from 'kafkajs'
import { LETTER_ROOM_BYTES } from '../../dead-letter.ts'
import { toSluiceError } from '../../errors.ts'
import type { Logger } from '../../process/logger.ts'
import { TOPIC_RESOURCE, type TopicState } from './topics.ts'

const SETTING = 'max.message.bytes'
/** `ConfigSource.TOPIC_CONFIG`: what was set for the topic itself. */
const OF_THE_TOPIC = 1

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
    await withAdmin((admin) => raise(admin, letters, needed))
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

async function raise(admin: Admin, name: string, bytes: number): Promise<void> {
  const resource = { type: TOPIC_RESOURCE, name }
  const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: [resource] })
  // A setting of the topic that is not named goes back to the default.
  const others = (resources[0]?.configEntries ?? [])
    .filter(({ configName, configSource }) => configName !== SETTING && Number(configSource) === OF_THE_TOPIC)
    .map(({ configName, configValue }) => ({ name: configName, value: configValue }))
  const configEntries = [...others, { name: SETTING, value: String(bytes) }]
  await admin.alterConfigs({ validateOnly: false, resources: [{ ...resource, configEntries }] })
}
