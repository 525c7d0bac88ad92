import { parentPort, workerData } from 'node:worker_threads'
import type { Asked, Said } from '../../../../shared/process/thread-client.ts'

/** What the thread of the test is asked; `later` is answered after a turn, `die` never. */
export interface Calls {
  echo: { ask: { text: string }; answer: { text: string; seen: string[] } }
  later: { ask: string; answer: string }
  bytes: { ask: Uint8Array<ArrayBuffer>; answer: number }
  fail: { ask: undefined; answer: undefined }
  tell: { ask: string; answer: undefined }
  die: { ask: 'throw' | 'exit'; answer: undefined }
  close: { ask: undefined; answer: undefined }
}

const port = parentPort
const say = (message: Said<number, string>): void => port?.postMessage(message)
const seen: string[] = []

function answer(asked: Asked<Calls>): Calls[keyof Calls]['answer'] {
  seen.push(asked.question)
  switch (asked.question) {
    case 'echo':
      return { text: asked.ask.text, seen: [...seen] }
    case 'bytes':
      return asked.ask.byteLength
    case 'fail':
      throw new Error('no room')
    case 'tell':
      return void say({ kind: 'event', event: asked.ask })
    case 'die':
      if (asked.ask === 'exit') process.exit(3)
      setImmediate(() => {
        throw new Error('out of order')
      })
      return undefined
    case 'later':
    case 'close':
      return undefined
  }
}

function open(): void {
  port?.on('message', (asked: Asked<Calls>) => {
    const { id, question, ask } = asked
    if (question === 'later') return void setTimeout(() => say({ kind: 'answer', id, answer: ask }), 20)
    try {
      const given = answer(asked)
      if (question !== 'die') say({ kind: 'answer', id, answer: given })
    } catch (error) {
      say({ kind: 'failure', id, failure: { code: 'disk_full', message: (error as Error).message } })
    }
    if (question === 'close') setTimeout(() => port?.close(), 30)
  })
  say({ kind: 'opened', opened: 7 })
}

if (workerData === 'refuse') say({ kind: 'unopened', failure: { code: 'data_locked', message: 'another one has it' } })
else if (workerData === 'break') throw new Error('broken before it opened')
else open()
