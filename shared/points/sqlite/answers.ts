import type { PointDatabase } from './database.ts'
import type { Answer, Request } from './messages.ts'

const QUESTIONS = ['query', 'scan', 'scanStep', 'scanEnd', 'series', 'devices', 'retention'] as const

/** A request that leaves the store as it is. */
type Question = Extract<Request, { question: (typeof QUESTIONS)[number] }>

/** True for what may be asked while the files are copied. */
export function changesNothing(question: Request['question']): boolean {
  return QUESTIONS.some((known) => known === question)
}

export function answerTo(database: PointDatabase, request: Question): Answer {
  switch (request.question) {
    case 'query':
      return database.query(request.ask)
    case 'scan':
      return database.scans.begin(request.ask.scan, request.ask.points)
    case 'scanStep':
      return database.scans.step(request.ask.id, request.ask.points)
    case 'scanEnd':
      return void database.scans.end(request.ask.id)
    case 'series':
      return database.series(request.ask.tenant, request.ask.device)
    case 'devices':
      return database.catalogue.devices(request.ask.after, request.ask.limit)
    case 'retention':
      return database.catalogue.tenants.retention()
  }
}
