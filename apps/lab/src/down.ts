// Takes a lab down whose owner is gone: started by its supervisor.   usage: down.ts LAB
import { labDown } from '@osier/lab/down';
import { checkLabName } from '@osier/lab/names';

await labDown(checkLabName(process.argv[2] ?? ''));
