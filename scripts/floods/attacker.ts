/** A process of its own that attacks until it is ended: its name and where, from the command line. */
import { ATTACKS } from './attacks.ts'

const [name = '', host = '', port] = process.argv.slice(2)
await ATTACKS[name]?.({ host, port: Number(port) })
