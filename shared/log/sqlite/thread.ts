import { parentPort, workerData } from 'node:worker_threads'
import { SluiceError, toSluiceError } from '../../errors.ts'
import type { Failure } from '../../process/thread-client.ts'
import type { LogTopic, Position } from '../port.ts'
import { makeFolder, PRIVATE } from '../../storage/folders.ts'
import { Groups } from './groups.ts'
import type { Calls, FromThread, Question, StoredRow, ThreadOptions, ToThread } from './messages.ts'
import { storageError } from './storage-error.ts'
import { TopicLog } from './topic-log.ts'

/** How often age is looked at when nothing is appended or committed. */
const TIDY_MS = 60_000

const port = parentPort
if (port === null) throw new Error('runs as a worker thread')

function send(message: FromThread, transfer: ArrayBuffer[] = []): void {
  port?.postMessage(message, transfer)
}

function failureOf(error: unknown): Failure {
  const { code, message } = toSluiceError(error, 'log_unavailable')
  return { code, message }
}

function open(options: ThreadOptions): { groups: Groups; topics: Record<LogTopic, TopicLog> } {
  const { folder, retention } = options
  const groups = Groups.open(folder, options.partitions)
  const { partitions } = groups
  const opened: TopicLog[] = []
  const openTopic = (topic: LogTopic): TopicLog => {
    const log = new TopicLog({
      topic,
      folder,
      partitions,
      groups,
      retention: retention[topic],
      onTrimmed: (file, starts, diskBytes) => {
        send({ kind: 'event', event: { kind: 'trimmed', topic, file, starts, diskBytes } })
      },
      onTrouble: (error) => send({ kind: 'event', event: { kind: 'trouble', failure: failureOf(error) } }),
      onDamage: (detail) => send({ kind: 'event', event: { kind: 'damage', topic, detail } }),
    })
    opened.push(log)
    return log
  }
  try {
    return {
      groups,
      topics: {
        'telemetry.raw': openTopic('telemetry.raw'),
        'telemetry.dead-letter': openTopic('telemetry.dead-letter'),
      },
    }
  } catch (error) {
    for (const log of opened) log.close()
    groups.close()
    throw error
  }
}

function run(options: ThreadOptions): void {
  const { groups, topics } = open(options)
  const all = Object.values(topics)
  const timer = setInterval(() => all.forEach((topic) => topic.tidy()), TIDY_MS)

  const answers: { [Q in Question]: (ask: Calls[Q]['ask']) => Calls[Q]['answer'] } = {
    append({ topic, rows }) {
      const stored = topics[topic].append(rows)
      return { rows: stored, diskBytes: topics[topic].diskBytes() }
    },
    read: ({ topic, partition, offset, records }) => topics[topic].read(partition, offset, records),
    seek: ({ topic, partition, time }) => topics[topic].seek(partition, time),
    register: ({ topic, group }) => topics[topic].register(group),
    commit({ topic, group, positions }) {
      checkPositions(topics[topic], positions)
      try {
        groups.commit(topic, group, positions)
      } catch (error) {
        throw storageError(error, options.folder, `committing offsets of ${group}`)
      }
      return undefined
    },
    lag: ({ topic, group }) => topics[topic].lag(group),
    snapshot({ folder, what }) {
      try {
        makeFolder(folder, PRIVATE)
        if (what === 'positions') groups.copyTo(folder)
        for (const topic of all) topic.copyTo(folder, what === 'records')
      } catch (error) {
        throw storageError(error, folder, 'copying the log')
      }
      return undefined
    },
    close() {
      clearInterval(timer)
      for (const topic of all) topic.close()
      groups.close()
      return undefined
    },
  }

  port?.on('message', ({ id, question, ask }: ToThread) => {
    try {
      const answer = (answers[question] as (ask: unknown) => unknown)(ask) // the two are paired by ThreadClient.ask
      send({ kind: 'answer', id, answer }, buffersOf(answer))
    } catch (error) {
      send({ kind: 'failure', id, failure: failureOf(error) })
    }
    if (question === 'close') port?.close()
    // Behind the answer: nobody waits for a checkpoint or for files to go.
    if (question === 'append' || question === 'commit') topics[ask.topic].tidy()
  })
  send({
    kind: 'opened',
    opened: {
      log: groups.log,
      topics: {
        'telemetry.raw': topics['telemetry.raw'].summary(),
        'telemetry.dead-letter': topics['telemetry.dead-letter'].summary(),
      },
    },
  })
}

function checkPositions(topic: TopicLog, positions: readonly Position[]): void {
  for (const { partition, offset } of positions) {
    if (offset <= topic.endOf(partition)) continue
    const message = `offset ${offset} of partition ${partition} is beyond the end ${topic.endOf(partition)}`
    throw new SluiceError('internal', message)
  }
}

/** Rows travel with their memory. */
function buffersOf(answer: unknown): ArrayBuffer[] {
  const rows = (answer as { rows?: readonly StoredRow[] } | undefined)?.rows ?? []
  return rows.map(({ packed }) => packed.buffer)
}

try {
  run(workerData as ThreadOptions) // given by openSqliteLog only
} catch (error) {
  send({ kind: 'unopened', failure: failureOf(error) })
  port.close()
}
