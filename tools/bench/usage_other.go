//go:build !unix

package main

import "time"

func cpu() time.Duration { return 0 }

func resident() int64 { return 0 }

func residentOf(int) int64 { return 0 }

func cpuOf([]int32) time.Duration { return 0 }
