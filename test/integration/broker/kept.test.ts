import { describe } from 'vitest'
import { startBroker } from '../../broker-harness.ts'
import { itKeepsSoMuch } from './kept-cases.ts'

describe('one node', () => itKeepsSoMuch(startBroker))
