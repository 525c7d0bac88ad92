import { parentPort, workerData } from 'node:worker_threads'
import { toSluiceError } from '../../errors.ts'
import type { Failure } from '../../process/thread-client.ts'
import type { FromThread, ThreadOptions, ToThread } from './messages.ts'
import { SessionDatabase } from './session-database.ts'
import { sessionError } from './session-error.ts'
import { SessionServer } from './session-server.ts'

/** The thread that owns the file of sessions. */

const port = parentPort
if (port === null) throw new Error('runs as a worker thread')

const send = (message: FromThread): void => port.postMessage(message)

function failureOf(error: unknown): Failure {
  const { code, message } = toSluiceError(error, 'data_unwritable')
  return { code, message }
}

try {
  const options = workerData as ThreadOptions // given by openSqliteSessions only
  const database = new SessionDatabase(options)
  const server = new SessionServer(database, options.file, {
    answer: (id, answer) => send({ kind: 'answer', id, answer }),
    fail: (id, error) => send({ kind: 'failure', id, failure: failureOf(error) }),
    tell: (event) => send({ kind: 'event', event }),
  })
  port.on('message', (message: ToThread) => {
    server.take(message)
    if (message.question === 'close') port.close()
  })
  send({ kind: 'opened', opened: { damage: database.damage } })
} catch (error) {
  const { file } = workerData as ThreadOptions
  send({ kind: 'unopened', failure: failureOf(sessionError(error, file)) })
  port.close()
}
